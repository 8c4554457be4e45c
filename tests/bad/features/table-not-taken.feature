# expects: 8: "Then its mood is calm": takes no table
@shop @daily
Feature: table not taken

  @BAD-X-6 @P2
  Scenario: It works
    Given the shop
    Then its mood is calm
      | figure | limit |
      | mood  | calm  |
