@routing-ml @incident
Feature: Severe incidents of the routing platform

  Rule: Production is back within a quarter of an hour

    @RML-SEV-1 @P0 @destroys
    Scenario: Production Down
      The timeline stands under the last sentence that speaks of time. Nothing of it helped: call
      level 3, and say what was tried. The team could not be told: call it, the rest was done.

      Given the routing platform
      When the operator tells the team "SEV-1: production is down, investigating"
      Then no more than 5 minutes have passed since the start
      And the report lists its services
      And over the last 1 hour the report lists its error lines in the logs
      And the report lists its figures:
        | figure            |
        | use of the disk   |
        | use of the memory |
      And no more than 10 minutes have passed since the start
      When the operator tries in turn, until its production is answering:
        | operation                                  | for at most |
        | restarts the back end                      | 1 minute    |
        | checks out the stable release              | 1 second    |
        | restarts every service                     | 2 minutes   |
        | restores the database from the last backup | 2 minutes   |
      Then no more than 15 minutes have passed since the start
      And throughout the next 2 minutes its production is answering
      When the operator tells the team "SEV-1: production answers again, verified for two minutes"

    @RML-SEV-2 @P1 @destroys
    Scenario: Major Functionality Broken
      Who is affected stands in the report's table of endpoints. Not mended: go on as for SEV-1.

      Given the routing platform
      When the operator tells the team "SEV-2: predictions are broken, working on it"
      Then no more than 15 minutes have passed since the start
      And over the last 10 minutes the report lists its endpoints
      When the operator tries in turn, until its trial prediction is answered:
        | operation                     | for at most |
        | restarts the back end         | 1 minute    |
        | checks out the stable release | 1 second    |
        | restarts every service        | 2 minutes   |
      Then its model behind a trial prediction is the same as its active version
      And throughout the next 2 minutes its trial prediction is answered
      When the operator tells the team "SEV-2: predictions work again"
