# expects: ?
@shop @daily
Feature: destroying under changes

  @BAD-R-2 @P2 @changes
  Scenario: It works
    Given the shop
    When the operator burns it down
    Then it has no orders
