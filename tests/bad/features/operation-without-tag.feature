# expects: 8: "restocks" changes something, but the scenario is not tagged @changes
@shop @daily
Feature: operation without tag

  @BAD-R-1 @P2
  Scenario: It works
    Given the shop
    When the operator restocks
    Then it has no orders
