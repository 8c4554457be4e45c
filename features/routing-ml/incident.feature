@routing-ml @incident
Feature: Incidents of the routing platform

  Rule: An incident is over when what was red is green, and nothing else was touched

    @RML-INC-1 @P1 @changes
    Scenario: Backend API Down
      Still down after the restart: see "Production Down".

      Given the routing platform
      And the report lists its services
      And the report lists its last lines in the log of the back end
      When the operator restarts the back end
      Then within 1 minute its back end is up
      And its health of the back end is healthy
      And within 1 minute the state of each of its services is running

    @RML-INC-2 @P2
    Scenario: High Error Rate
      The table names the endpoints with their rates, worst first. All of them: the database, or the
      release. One of them: its last change.

      Given the routing platform
      Then over the last 10 minutes the error rate of each of its endpoints is below 5%
      And over the last 10 minutes the report lists its error lines in the log of the back end

    @RML-INC-3 @P2
    Scenario: Model Training Failure
      The cause is in the sentence. No known cause: read the training's lines in the log.

      Given the routing platform
      Then its training status is not failed, or else for one of these causes:
        | cause                              | sign                                        | is         |
        # 93%: a training fails before the disk is quite full, since its files need some of the rest.
        | the disk is full                   | use of the disk                             | above 93%  |
        | there is no training data          | number of rows to train on                  | below 1    |
        | the models' folder is not writable | access to the models' folder                | refused    |
        | the database was too slow          | number of timeouts in the last training     | at least 1 |
        | the version's folder is incomplete | missing artifacts of the last training      | at least 1 |
      And the report lists its training lines in the log of the back end

    @RML-INC-4 @P2 @destroys
    Scenario: Pool Exhausted
      The one query that has run longest is ended; its session is over, and its transaction undone.

      Given the routing platform
      And one of its queries running over 30 seconds
      When the operator ends that query
      Then of its long queries exactly that query is gone
      And within 2 minutes its use of the connection pool is below 80%

    @RML-INC-5 @P3 @destroys
    Scenario: Disk Space
      What was removed is in the run's ledger. Not enough: find what has grown in the table.

      Given the routing platform
      And the report lists its largest folders
      When the operator removes old models, logs and backups
      Then of its platform files exactly the removable files are gone
      And its room used on the disk is lower than before
      And its trial prediction is answered
      And its model behind a trial prediction is the same as its active version
