DROP INDEX users_password_cost;
DROP INDEX users_labels;
