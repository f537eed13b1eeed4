DROP TABLE sign_in_wrongs;
DROP TABLE devices;
DROP TABLE sign_in_challenges;
