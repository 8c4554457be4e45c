@routing-ml @daily
Feature: Metrics of the routing platform

  Rule: Users get right answers, and soon

    @RML-MET-1 @P2
    Scenario: The API answers soon
      Look at the panel "Response time" for the handler, and at the database for slow queries.

      Given the routing platform
      Then its response time of the API is below 200 ms

    @RML-MET-2 @P2
    Scenario: The API answers without errors
      See "High Error Rate", which names the endpoints.

      Given the routing platform
      Then its error rate is below 1%

    @RML-MET-3 @P2
    Scenario: The active model predicts well
      Wrong model: see "Predictions wrong". Right model: its data has drifted, train a new one.

      Given the routing platform
      Then its accuracy of the active model is above 90% and at most 100%

    @RML-MET-4 @P2
    Scenario: Connections are not about to run out
      The measured pool; "Morning check" asks the back end itself. See "Pool Exhausted".

      Given the routing platform
      Then its measured use of the connection pool is below 80%

    @RML-MET-5 @P3
    Scenario: The processors are not overloaded
      The mean of an hour. See "Scale Services".

      Given the routing platform
      Then its mean use of the processors is below 70%

  Rule: Whoever looks at a dashboard sees data

    @RML-MET-6 @P3
    Scenario: The dashboards are there and show data
      A dashboard that is missing is in the platform's repository: import it again.

      Given the routing platform
      Then its dashboards include:
        | title                   |
        | Routing ML Overview     |
        | Model Training Metrics  |
        | API Performance         |
      And the data of each of its dashboard panels is shown
