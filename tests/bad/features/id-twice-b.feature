# expects: 6: @BAD-S-1 stands at features/id-twice-a.feature:6 already
@shop @daily
Feature: id twice b

  @BAD-S-1 @P2
  Scenario: It works
    Given the shop
    Then it has no orders
