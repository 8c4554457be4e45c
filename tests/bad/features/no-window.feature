# expects: 8: "yesterday's orders" is read over a time; write for example "over the last 24 hours its …"
@shop @daily
Feature: no window

  @BAD-V-2 @P2
  Scenario: It works
    Given the shop
    Then its yesterday's orders is below 5
