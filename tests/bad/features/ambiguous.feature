# expects: ?
@shop @daily
Feature: ambiguous

  @BAD-K-1 @P2
  Scenario: It works
    Given the shop
    Then the sky is blue
