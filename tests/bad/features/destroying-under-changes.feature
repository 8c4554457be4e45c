# expects: 8: "burns it down" destroys something, but the scenario is not tagged @destroys
@shop @daily
Feature: destroying under changes

  @BAD-R-2 @P2 @changes
  Scenario: It works
    Given the shop
    When the operator burns it down
    Then it has no orders
