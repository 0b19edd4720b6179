"""Credit: scorecards, ratings, line calculation, approval, lines and early warning."""
