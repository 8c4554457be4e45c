@media-management @incident
Feature: Trouble with the media manager

  Rule: Failures are counted before they are mended

    @MM-TRB-1 @P2
    Scenario: Failures are told by their status
      Failed (Sonarr), (Radarr): "Sonarr/Radarr API Failures". Failed (Classification): "Classification
      Failures". Failed (Missing TVDB ID): "Missing TVDB IDs".

      Given the media manager
      Then the report lists its failures by status

    @MM-TRB-9 @P4
    Scenario: Ambiguous classifications are listed with what else they could be
      Force each that went to the wrong service to the right one: "Wrong Service Selected".

      Given the media manager
      Then the report lists its requests with a confidence between 0.35 and 0.65

  Rule: One request is put right without touching another

    @MM-TRB-4 @P3 @changes
    Scenario: A series without a TVDB id gets one by hand
      Name the request by its title and take the id from thetvdb.com. Where it failed again, Sonarr
      is older than version 3, or the id is another series'.

      Given the media manager
      And one of its requests for "The Harbour Lights" that miss a TVDB id
      When the operator gives that request the TVDB id "12345"
      Then of its requests exactly that request changed
      And the external id of that request is "12345"
      And the status of that request is Pending or Processing or SentToSonarr
      When the operator starts the processing of requests
      Then within 2 minutes the status of that request is SentToSonarr

    @MM-TRB-8 @P3 @changes
    Scenario: A wrongly routed request is sent to Sonarr
      Name the request by its title. Where the row is as before, force it in the database: "Manual Override".

      Given the media manager
      And its app connection is up
      And one of its requests for "Dexter" routed to Radarr
      When the operator reclassifies that request to Sonarr
      Then the success of the answer is yes
      And of its requests exactly that request changed
      And the service of that request is "sonarr"
      And the status of that request is Pending or Processing or SentToSonarr

  Rule: Classification waits for nobody

    @MM-TRB-6 @P3
    Scenario: TMDb is asked no more often than it allows
      Process requests in batches instead of one by one; TMDb allows 40 requests in 10 seconds.

      Given the media manager
      And over the last 24 hours its number of classification events was at least 1
      Then over the last 24 hours it had no TMDb refusals for too many requests
      And over the last 24 hours its most TMDb requests within 10 seconds was at most 40

    @MM-TRB-7 @P2 @changes
    Scenario: Nobody keeps the database locked
      Find who holds it (fuser media_management.db) and end that program; a backup or a shell often does.

      Given the media manager
      When the operator begins to write to the database and takes it back
      Then no more than 5 seconds have passed since the start
