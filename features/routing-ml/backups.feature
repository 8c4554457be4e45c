@routing-ml
Feature: Backups of the routing platform

  Rule: Losing a disk may cost at most one day of work

    @RML-BAK-1 @P1 @daily
    Scenario Outline: Last night's <backup> is there
      Look at the backup's cron job, its log, and the room on the disk; then make one by hand.

      Given the routing platform
      Then its <backup>s are at least 1
      And its age of the latest <backup> is below 24 hours

      Examples:
        | backup          |
        | database backup |
        | model backup    |

    @RML-BAK-2 @P2 @daily
    Scenario Outline: Last night's <backup> has its usual size
      Much smaller: it may be cut short. Much larger: find out what has grown.

      Given the routing platform
      Then its size of the latest <backup> is within 50% of the median of the five before it

      Examples:
        | backup          |
        | database backup |
        | model backup    |

    @RML-BAK-3 @P1 @weekly
    Scenario: The latest backups can be read and hold every table and the active model
      Do not wait for the night: make a backup by hand, and look at this one's disk.

      Given the routing platform
      Then its contents of the latest database backup include:
        | table         |
        | routing_data  |
        | predictions   |
        | training_runs |
        | users         |
      And its contents of the latest model backup include:
        | file                         |
        | default/model.bin            |
        | default/encoder.bin          |
        | default/feature_weights.json |
        | default/manifest.json        |

  Rule: A backup that nobody has restored is a hope

    @RML-MON-3 @P1 @monthly @changes
    Scenario: The latest database backup can be restored
      Counts that differ: rows were lost on the way into the backup, or on the way out of it.

      Given the routing platform
      And that afterwards the operator drops the scratch database
      When the operator restores the latest backup into the scratch database
      Then its row counts recorded with the latest backup are the same as its row counts in the scratch database
