# expects: 9: "burns it down" destroys something, but the scenario is not tagged @destroys
# expects: 9: "burns it down" destroys something,
@shop @daily
Feature: destroying under changes

  @BAD-R-2 @P2 @changes
  Scenario: It works
    Given the shop
    When the operator burns it down
    Then it has no orders
