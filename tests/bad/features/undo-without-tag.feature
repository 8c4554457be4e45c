# expects: 8: "burns it down" destroys something, but the scenario is not tagged @destroys
@shop @daily
Feature: undo without tag

  @BAD-R-3 @P2
  Scenario: It works
    Given the shop
    And that afterwards the operator burns it down
    Then it has no orders
