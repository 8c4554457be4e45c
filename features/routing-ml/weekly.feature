@routing-ml
Feature: Weekly maintenance of the routing platform

  Rule: What is cleaned away is old, and nobody's

    @RML-WKM-1 @weekly @P3 @destroys
    Scenario: Packages are updated, unused and old things are cleaned away
      Older than 30 days is judged to the second. What was removed is in the run's ledger.

      Given the routing platform
      When the operator updates the packages
      Then its outstanding package updates is exactly 0
      When the operator removes logs and backups older than 30 days
      Then of its platform files exactly the logs and backups older than 30 days are gone
      When the operator removes unused images
      And the operator removes unused volumes of the platform
      Then of its services none of the services changed
      And of its volumes only the unused volumes are gone
      And its model behind a trial prediction is the same as its active version

  Rule: The platform starts the week fresh

    @RML-WKM-2 @weekly @P3 @changes
    Scenario: The planner has fresh statistics
      Not moved: a long transaction holds the table back, or autovacuum has a lock.

      Given the routing platform
      When the operator vacuums and analyses the database
      Then its oldest analysis of a table is later than before

    @RML-WKM-3 @weekly @P2
    Scenario: No certificate ends soon
      Renew it now; a renewal that failed by itself has said why.

      Given the routing platform
      Then the days left of each of its certificates is above 21 days
      And the state of each of its certificates is valid

    @RML-WKM-4 @weekly @P2 @changes
    Scenario: Every service comes back after a restart
      The one that is not back has said why in its log.

      Given the routing platform
      When the operator restarts every service
      Then within 30 seconds the state of each of its services is running
      And within 30 seconds the health of each of its services is healthy, where there is one
      And within 30 seconds its production is answering
      And its earliest start of a service is later than before

  Rule: Known holes are closed within a month

    @RML-MON-2 @P3 @monthly
    Scenario: No security update waits longer than 30 days
      Install it, and restart what uses it.

      Given the routing platform
      Then it has no security updates outstanding over 30 days
      And the report lists its security updates outstanding
