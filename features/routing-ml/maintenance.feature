@routing-ml
Feature: Maintenance of the routing platform

  Rule: Logs are kept, and do not fill the disk

    @RML-LOG-1 @P4 @maintenance @changes
    Scenario: The log of the back end is rotated without losing a line
      The copy stays in the folder of the logs. A back end that writes no more must be restarted.

      Given the routing platform
      When the operator rotates the log of the back end
      Then its trial prediction is answered
      And its lines lost by the rotation is exactly 0
      And its day of the rotated copy is the same as its today
      And within 1 minute its last line of the live log is later than before
      And its size of the live log is lower than before

    @RML-LOG-2 @P3 @weekly
    Scenario: Logs are rotated by themselves
      Put the policy of the runbook back into logrotate's folder.

      Given the routing platform
      Then its rotation policy includes:
        | directive    |
        | daily        |
        | rotate 14    |
        | compress     |
        | copytruncate |
      And it has no live logs over 100 MB

  Rule: A service gets what it was given

    @RML-SCL-1 @P3 @maintenance @changes
    Scenario: The prediction front end runs in three instances
      An instance that is not healthy has said why in its log. It is scaled back at the end.

      Given the routing platform
      And that afterwards the operator scales the prediction front end back
      When the operator scales the prediction front end to three instances
      Then its number of instances of the prediction front end is exactly 3
      And within 1 minute the state of each of its instances of the prediction front end is running
      And within 1 minute the health of each of its instances of the prediction front end is healthy

    @RML-SCL-2 @P3 @maintenance @changes
    Scenario: The back end gets more processors and memory
      What the container reports counts, not what was ordered. The old limits come back at the end.

      Given the routing platform
      And that afterwards the operator gives the back end its limits of before
      When the operator gives the back end 4 processors and 8 GiB
      Then its processors of the back end is exactly 4
      And its memory of the back end is exactly 8 GiB
      And its health of the back end is healthy

    @RML-ENV-1 @P3 @maintenance @changes
    Scenario: A new token lifetime is in force after the restart
      The runbook says 7200 and "2 hours"; the setting is in minutes, so two hours are 120.

      Given the routing platform
      And that afterwards the operator restarts the back end
      And that afterwards the operator sets the token lifetime back
      When the operator sets the token lifetime to 120 minutes
      And the operator restarts the back end
      Then within 1 minute its lifetime of a new token is exactly 120 minutes
