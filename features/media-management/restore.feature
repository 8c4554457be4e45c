@media-management @maintenance
Feature: Restoring the media manager

  Rule: A restore brings back what the backup holds, and loses nothing that it replaces

    @MM-BAK-2 @P1 @destroys
    Scenario: The database is restored from its latest backup
      The database of before was put back and the application started. Restore by hand from an older backup.

      Given the media manager
      And its latest backup is sound
      And its app connection is known
      And that on failure the operator starts the application
      And that on failure the operator puts the set-aside database back
      And that on failure the operator stops the application
      When the operator stops the application
      And the operator restores the database from the latest backup
      And the operator starts the application
      Then its app connection is up
      And its number of restored requests is the same as its number of requests in the latest backup
      And its set-aside databases are at least 1
