@media-management @daily
Feature: Morning check of the media manager

  Rule: A day starts with no surprises from the night

    @MM-DAY-1 @P2
    Scenario: Most requests of the last day were sent on
      See "High Failure Rate" in the runbook: the list by outcome tells which service to look at.

      Given the media manager
      Then over the last 24 hours its success rate was at least 80%, where there were any
      And over the last 24 hours the report lists its figures:
        | figure                        |
        | number of requests            |
        | number of classified requests |
        | number of successful requests |
        | requests by outcome           |

    @MM-DAY-2 @P3
    Scenario: Nothing failed today
      Mend the cause that the status names, then "Reclassify Failed Requests".

      Given the media manager
      Then over the last 24 hours it had no failed requests

    @MM-DAY-3 @P4
    Scenario: No classification of today is doubtful
      Check by hand that each listed title went to the right service; "Manual Override" moves it.

      Given the media manager
      Then over the last 24 hours it had no requests with a confidence below 0.6

    @MM-DAY-4 @P1
    Scenario Outline: <service> answers
      Look at the service's own log, then restart it: "Sonarr/Radarr API Failures". A 401 is a wrong key.

      Given the media manager
      Then its <service> connection is up
      And its <service> version is known

      Examples:
        | service |
        | Sonarr  |
        | Radarr  |
        | Lidarr  |

  Rule: The log tells what the application did

    @MM-DAY-5 @P4
    Scenario: The log tells where requests went
      The format of the log has changed, or it is written elsewhere: what reads it must follow.

      Given the media manager
      Then over the last 24 hours its number of classification lines was at least 1, where there were any number of requests
      And over the last 24 hours its number of lines that name a service was the same as its number of classification lines
      And over the last 24 hours the report lists its classified requests by service

    @MM-DAY-6 @P3
    Scenario: Classification is confident
      See "Ambiguous Classifications": a low mean often is a change at TMDb.

      Given the media manager
      Then over the last 24 hours its mean confidence was at least 0.7, where there were any
      And over the last 24 hours its number of lines that give a confidence was the same as its number of classification lines

    @MM-DAY-7 @P2
    Scenario: The log ends without errors
      Read the listed lines; the request ID in them leads to the request.

      Given the media manager
      Then it has no recent errors

  Rule: A request does not keep a person waiting

    @MM-TRB-5 @P2
    Scenario: Classification is quick
      See "Slow Classification": TMDb's rate limit, the network, or a locked database.

      Given the media manager
      Then its time to classify "Breaking Bad" is below 1 second

  Rule: Losing the disk may cost at most one day of requests

    @MM-BAK-1 @P1
    Scenario: Last night's backup is there and whole
      Make one now ("Restore from Backup" needs it), then find out why the nightly job did not.

      Given the media manager
      Then its nightly backups are at least 1
      And its age of the latest backup is below 26 hours
      And its latest backup is sound
      And it has no backups older than 30 days
