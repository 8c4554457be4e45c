@media-management @maintenance
Feature: Keys of the media manager

  Rule: A new key takes the place of the old one everywhere

    @MM-SEC-1 @P2 @changes
    Scenario Outline: <service> gets a new key
      Green: the new key stands in config.yaml; put it into the environment of Watchkeeper, too. Red: the old key
      was given back; compare the key in config.yaml with the one under Settings, General.

      Given the media manager
      And its app connection is up
      And its answer of <service> to its key is accepted
      And that on failure the operator restarts the application
      And that on failure the operator gives <service> its old key back
      When the operator gives <service> a new key
      Then its answer of <service> to its key is accepted
      And its answer of <service> to its old key is refused
      When the operator restarts the application
      Then its app connection is up
      And its connection of the application to <service> is up

      Examples:
        | service |
        | Sonarr  |
        | Radarr  |
        | Lidarr  |
