# expects: 8: "mood" is one value, a list was expected
@shop @daily
Feature: one value as a list

  @BAD-Y-5 @P2
  Scenario: It works
    Given the shop
    Then its mood includes:
      | state |
      | new |
