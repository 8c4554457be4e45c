# expects: ?
@shop @daily
Feature: undo without tag

  @BAD-R-3 @P2
  Scenario: It works
    Given the shop
    And that afterwards the operator burns it down
    Then it has no orders
