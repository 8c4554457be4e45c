@media-management @incident
Feature: Incidents of the media manager

  Rule: A failed service comes back

    @MM-TRB-2 @P1 @changes
    Scenario Outline: <service> is brought back where it is down
      It was restarted and does not stay up: its last errors are listed. Look at its disk and its own database.

      Given the media manager
      And the report lists its last errors of <service>
      And its <service> connection is known
      When the operator tries in turn, until its <service> connection is up:
        | operation          | for at most |
        | restarts <service> | 2 minutes   |
      Then throughout the next 1 minute its <service> connection is up

      Examples:
        | service |
        | Sonarr  |
        | Radarr  |
        | Lidarr  |

  Rule: Titles can be classified

    @MM-TRB-3 @P2
    Scenario: TMDb knows The Matrix and our key
      Set tmdb.key in config.yaml and restart; a key that is refused must be made anew in TMDb's settings.

      Given the media manager
      Then its TMDb key of the application is set
      And its TMDb connection is up
      And its answer of TMDb to our key is accepted
      And its films called "The Matrix" at TMDb are at least 1
