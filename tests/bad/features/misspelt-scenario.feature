# expects: ?
@shop @daily
Feature: misspelt scenario

  @BAD-W-1 @P2
  Scenaro: It works
    Given the shop
    Then its mood is calm
