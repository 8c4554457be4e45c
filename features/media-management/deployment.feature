@media-management @deploy
Feature: After a deployment of the media manager

  Rule: The new version runs and says what it does

    @MM-DEP-0 @P1
    Scenario: The application answers and logs classifications
      Start it by hand (python run.py) and read what it prints; then look at the end of logs/app.log.

      Given the media manager
      Then its app connection is up
      And over the last 24 hours its number of classification events was at least 1

    @MM-DEP-1 @P1
    Scenario: A well-known series is recognised
      Classification goes through TMDb: see "Classification Failures" in the runbook.

      Given the media manager
      Then its matches for "Breaking Bad" is at least 1
      And its first match for "Breaking Bad" is Sonarr
      And its ambiguity of "Breaking Bad" is no

  Rule: A test request travels all the way to Radarr

    @MM-DEP-2 @MM-DEP-3 @MM-DEP-4 @MM-DEP-5 @P1 @destroys
    Scenario: A request for The Matrix arrives in Radarr
      The step that is red names the stage: created, stored, processed or received. See "High Failure Rate".

      Given the media manager
      And its copies of "The Matrix" in Radarr is exactly 0
      And that afterwards the operator withdraws the test request
      When the operator requests "The Matrix"
      Then the success of the answer is yes
      And the service of the answer is "radarr"
      And the confidence of the answer is above 0 and at most 1
      And exactly one of its requests is new
      And the title of that request is "The Matrix"
      And the service of that request is "radarr"
      And the confidence of that request is above 0 and at most 1
      And the status of that request is Pending or Processing or SentToRadarr
      When the operator starts the processing of requests
      Then within 2 minutes the status of that request is SentToRadarr
      And its processing log of that request include in this order:
        | event                  |
        | Classified request     |
        | Adding movie to Radarr |
        | processed successfully |
      And its processing log of that request includes:
        | event                  | TMDb id |
        | Adding movie to Radarr | 603     |
      And its Radarr movies include:
        | title      | TMDb id |
        | The Matrix | 603     |

  Rule: Nobody gets in without a login

    @MM-SEC-2 @P1
    Scenario: The API refuses an unauthenticated call
      Take the application off the network, then put login_required back on the route.

      Given the media manager
      Then its answer to a stranger who classifies is refused or sent to the login
      And its answer to a stranger who lists requests is refused or sent to the login
