@routing-ml
Feature: Models of the routing platform

  Rule: A new model is tried before it answers users, and users get what was tried

    @RML-MOD-1 @RML-MOD-2 @RML-MOD-3 @RML-MOD-4 @RML-MOD-5 @P1 @deploy-model @changes
    Scenario: A new model is trained, tried, activated and used
      Where it stops, the earlier model is active again, and the new version stays for people to see.

      Given the routing platform
      And that on failure the operator refreshes the model cache
      And that on failure the operator activates the earlier model
      When the operator starts a training
      Then within 30 minutes its training is completed or failed
      And its training is completed
      And it has no missing artifacts of the new version
      And its figures are within these limits:
        | figure                                | limit                       |
        | accuracy of the new version           | between 0 and 1             |
        | weighted precision of the new version | between 0 and 1             |
        | weighted recall of the new version    | between 0 and 1             |
        | weighted F1 of the new version        | between 0 and 1             |
        | training samples of the new version   | at least 1                  |
        | training duration of the new version  | above 0 s                   |
        | version in its own metrics            | the same as its new version |
        | age of the metrics of the new version | between 0 and 1 hour        |
        | samples in its data set               | at least 1                  |
      And its model behind a prediction with the new version is the same as its new version
      When the operator activates the new version
      Then its active version is the same as its new version
      And its registered version is the same as its new version
      When the operator refreshes the model cache
      Then its model behind a trial prediction is the same as its new version
      And within 3 seconds its last model reload is later than before

    @RML-MOD-6 @P4 @weekly
    Scenario: The training history knows every model
      A version that is missing was copied there by hand, or its registry entry is lost.

      Given the routing platform
      Then its versions on disk are the same as its versions in the training history
      And the accuracy of each of its models in the training history is between 0 and 1
