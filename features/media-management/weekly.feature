@media-management @weekly
Feature: The week of the media manager

  Rule: A week is seen beside the one before

    @MM-WKL-1 @P4
    Scenario: The week in figures
      The database could not be asked: see "The application answers and logs classifications".

      Given the media manager
      Then over the last 7 days the report lists its figures beside those of the 7 days before:
        | figure                              |
        | number of requests                  |
        | number of requests routed to Sonarr |
        | number of requests routed to Radarr |
        | number of requests routed to Lidarr |
        | requests by service                 |
        | success rate                        |
        | mean confidence of requests         |
