@media-management @predeploy
Feature: Before a deployment of the media manager

  Rule: What is deployed is what was reviewed

    @MM-PRE-1 @P2
    Scenario: The deployed tree is the head of the main branch
      Commit or stash what is listed, then pull main; deploy nothing that nobody reviewed.

      Given the media manager
      Then it has no uncommitted changes
      And its deployed commit is the same as its newest commit on main

    @MM-PRE-2 @P2
    Scenario: The installation is complete
      Run check_installation.py in the tree: it names the package or setting that is missing.

      Given the media manager
      Then its installation is complete

  Rule: Nothing is changed before there is a way back

    @MM-PRE-3 @P1 @changes
    Scenario: The database is backed up under a name of its own
      Do not deploy. Look at the disk's free space and at who else writes to the database.

      Given the media manager
      When the operator backs up the database
      Then its new backup is sound
      And its number of requests in the new backup is between its number of requests before and after

    @MM-PRE-4 @P1 @changes
    Scenario: The classification migration is applied
      Restore the backup, then apply migrations/add_classification_fields.sql by hand and read what it says.

      Given the media manager
      When the operator applies the classification migration
      Then its request columns include:
        | name                | type |
        | arr_service         | TEXT |
        | arr_id              | TEXT |
        | external_id         | TEXT |
        | confidence_score    | REAL |
        | classification_data | TEXT |
