@media-management @upgrade
Feature: Upgrading the media manager

  Rule: An upgrade that fails half-way leaves the old version running

    @MM-UPG-1 @P1 @destroys
    Scenario: The newest version is installed, or the old one runs again
      The step that is red names what to mend; source, database and application are those of before. Then try again.

      Given the media manager
      And it has no uncommitted changes
      And its app connection is known
      And its figures are within these limits:
        | figure            | limit |
        | Sonarr connection | up    |
        | Radarr connection | up    |
        | Lidarr connection | up    |
        | TMDb connection   | up    |
      And that on failure the operator restarts the application
      And that on failure the operator puts the source of before back
      And that on failure the operator puts the database of before the upgrade back
      When the operator backs up the database
      Then its new backup is sound
      And its number of requests in the new backup is between its number of requests before and after
      When the operator updates the source
      Then the report lists its pending migrations
      When the operator applies the pending migrations
      And the operator updates the dependencies
      Then its installation is complete
      And its self-test of the connections is passed
      When the operator restarts the application
      Then its app connection is up
      And its number of requests is no lower than before
      When the operator applies the pending migrations
      Then the number of applied migrations of the answer is exactly 0
