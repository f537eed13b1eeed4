-- What the control plane asks its nodes, whichever replica they watch: a replica
-- writes a question, each hands it to its nodes, and writes down what they say.
-- Nothing here outlives its asker by more than a minute, nor a crash.

CREATE UNLOGGED TABLE node_questions (
    id uuid PRIMARY KEY,
    question bytea NOT NULL CHECK (octet_length(question) <= 131072),
    create_time timestamptz NOT NULL DEFAULT now()
);

CREATE UNLOGGED TABLE node_answers (
    question_id uuid NOT NULL REFERENCES node_questions ON DELETE CASCADE,
    node text NOT NULL,
    answer bytea NOT NULL CHECK (octet_length(answer) <= 16384),
    PRIMARY KEY (question_id, node)
);
