# expects: 8: "Then its figures are within these limits:": its table is headed | figre | limit |, write | figure | limit |
@shop @daily
Feature: table of other columns

  @BAD-X-5 @P2
  Scenario: It works
    Given the shop
    Then its figures are within these limits:
      | figre | limit |
      | mood  | calm  |
