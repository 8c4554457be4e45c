# expects: 8: "Then the sky is blue": can be read in two ways: "the sky is COLOUR" and "the THING is blue"
@shop @daily
Feature: ambiguous

  @BAD-K-1 @P2
  Scenario: It works
    Given the shop
    Then the sky is blue
