@media-management @maintenance
Feature: Maintenance of the media manager

  Rule: What failed is tried again without touching anything else

    @MM-MNT-1 @P3 @changes
    Scenario: Failed classifications are reset
      Nothing was reset. Read which rows would have changed besides, and look for triggers on the table.

      Given the media manager
      When the operator resets the failed classifications
      Then of its requests exactly the failed classifications changed
      And the status of each of the changed requests is Pending or Processing
      And the service of each of the changed requests is absent
      And the confidence of each of the changed requests is absent

    @MM-MNT-2 @P3 @changes
    Scenario: A request is forced to another service
      Name the request by its title and the service that it belongs to; it is sent there by itself.
      Where the row is as before, look for triggers on the table, then use "Wrong Service Selected".

      Given the media manager
      And one of its requests for "Blade Runner soundtrack" routed to Radarr
      When the operator forces that request to Lidarr
      Then of its requests exactly that request changed
      And the service of that request is "lidarr"
      And the status of that request is Pending or Processing or SentToLidarr
      And the confidence of that request is exactly 1

    @MM-MNT-3 @P3 @changes
    Scenario: Missing external ids are filled in
      See "Classification Failures" where TMDb did not answer. What is listed has no match: give it
      an id by hand, as under "Missing TVDB IDs". Failed classifications are none of the requests
      without external id, so none of them may change.

      Given the media manager
      When the operator fills in missing external ids
      Then the failures of the answer is exactly 0
      And of its requests only the requests without external id changed
      And the external id of each of the changed requests is present
      And the unmatched of the answer is the same as its number of requests without external id
      And it has no requests that were sent without an external id
      And the report lists its requests without external id

  Rule: What is removed can still be read afterwards

    @MM-MNT-4 @MM-MNT-5 @P3 @destroys
    Scenario: Requests sent more than 90 days ago are exported, then removed
      Nothing was removed unless the last sentence is the red one. Compare the export with the list,
      and look for triggers on the table; the export stays where it is.

      Given the media manager
      And the report lists its requests sent more than 90 days ago
      When the operator exports the requests sent more than 90 days ago
      Then its header of the export is the same as its column names of requests
      And its requests sent more than 90 days ago are the same as its exported requests
      When the operator removes the requests sent more than 90 days ago
      Then of its requests exactly the requests sent more than 90 days ago are gone

    @MM-BAK-3 @P4 @changes
    Scenario: Classified requests are exported
      Export again: somebody may have asked for something in between. Then look at the disk's free space.

      Given the media manager
      When the operator exports the classified requests
      Then its header of the export is "id,title,arr_service,external_id,confidence_score,requested,status"
      And its classified requests are the same as its exported requests
