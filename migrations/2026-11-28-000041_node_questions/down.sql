DROP TABLE node_answers;
DROP TABLE node_questions;
