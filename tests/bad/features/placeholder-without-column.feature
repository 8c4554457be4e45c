# expects: ?
@shop @daily
Feature: placeholder without column

  @BAD-M-1 @P2
  Scenario Outline: It works
    Given the shop
    Then its <figre> is calm

    Examples:
      | figure |
      | mood   |
