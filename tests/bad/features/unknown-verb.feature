# expects: 8: "When the operator restoks": no operation is called "restoks"; did you mean "restocks"?
@shop @daily
Feature: unknown verb

  @BAD-J-1 @P2 @changes
  Scenario: It works
    Given the shop
    When the operator restoks
    Then it has no orders
