"""Value tiers, wealth levels, statistics and churn."""
