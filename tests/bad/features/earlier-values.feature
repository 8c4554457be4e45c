# expects: 8: "at most last week's" compares with earlier values, which are not kept yet
@shop @daily
Feature: earlier values

  @BAD-Y-2 @P2
  Scenario: It works
    Given the shop
    Then its pace is at most last week's
