# expects: 8: "When its mood is calm": "its FIGURE is LIMIT" stands after Given or Then
@shop @daily
Feature: judgement as when

  @BAD-X-2 @P2
  Scenario: It works
    Given the shop
    When its mood is calm
    Then it has no orders
