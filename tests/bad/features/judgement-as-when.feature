# expects: ?
@shop @daily
Feature: judgement as when

  @BAD-X-2 @P2
  Scenario: It works
    Given the shop
    When its mood is calm
    Then it has no orders
