@routing-ml @daily
Feature: Morning check of the routing platform

  Rule: A day starts with every service up and room to work

    @RML-DAY-1 @P1
    Scenario: Every service is up
      Read the log of the service that is named, then restart it. One that keeps restarting has said why.

      Given the routing platform
      Then its services include:
        | name              |
        | nginx             |
        | backend           |
        | frontend-home     |
        | frontend-training |
        | prometheus        |
        | grafana           |
        | database          |
      And the state of each of its services is running
      And the health of each of its services is healthy, where there is one

    @RML-DAY-2 @P3
    Scenario: The disk has room
      See "Disk Space": old models, logs and backups make room, the active model stays.

      Given the routing platform
      Then its use of the disk is below 80%

    @RML-DAY-3 @P3
    Scenario: The memory is not exhausted
      Find the container that uses most; a back end that grows from day to day leaks: restart it.

      Given the routing platform
      Then its use of the memory is below 90%

    @RML-DAY-4 @P2
    Scenario: The night's last hour left no critical errors
      The table has the lines. A critical line is an incident of its own. A back end without a line
      in a day has lost its log, or writes it elsewhere: the checks of the day before left some.

      Given the routing platform
      Then over the last 24 hours its number of lines in the log of the back end was at least 1
      And over the last 1 hour it had no critical lines in the logs
      And over the last 1 hour its number of error lines in the logs was at most 20

    @RML-DAY-5 @P2
    Scenario: The connection pool has room
      See "Pool Exhausted": find the queries that run too long before you restart anything.

      Given the routing platform
      Then its use of the connection pool is below 80%
