# expects: 5: @wekly is no registered tag; did you mean "weekly"?
@shop @daily
Feature: unknown tag

  @BAD-H-1 @P2 @wekly
  Scenario: It works
    Given the shop
    Then its mood is calm
