@routing-ml @deploy @daily
Feature: Components of the routing platform

  Rule: Every component answers its users

    @RML-HLT-1 @P1
    Scenario: The public site answers over HTTPS with a valid certificate
      Down: see "Production Down". A certificate that is not valid: renew it, then reload Nginx.

      Given the routing platform
      Then its public site is up
      And its certificate of the public site is valid

    @RML-HLT-2 @P1
    Scenario: The back end is healthy
      Read its log, then restart it. Degraded or unhealthy behind a 200 is what its answer says.

      Given the routing platform
      Then its back end is up
      And its health of the back end is healthy

    @RML-HLT-3 @P2
    Scenario: The dashboard answers
      Look at the container frontend-home and its log, then restart it.

      Given the routing platform
      Then its dashboard is up

    @RML-HLT-4 @P2
    Scenario: The prediction page is there and renders
      The table under a red sentence says what the browser's console had. See "Training UI not loading".

      Given the routing platform
      Then its prediction front end is up
      And its prediction page is rendered
      And it has no script errors on the prediction page

    @RML-HLT-5 @P2
    Scenario: Prometheus is healthy
      Without it nobody sees response times and error rates. Look at its container and its disk.

      Given the routing platform
      Then its Prometheus is up

    @RML-HLT-6 @P2
    Scenario: Grafana and its database are healthy
      Its database is its own, not the platform's: look at its volume and its log.

      Given the routing platform
      Then its Grafana is up
      And its database of Grafana is ok

    @RML-HLT-7 @P1
    Scenario: The database accepts connections and answers
      Refused: look at the container database and its log. A refused login is a changed password.

      Given the routing platform
      Then its database is up
      And its answer of the database is exactly 1
