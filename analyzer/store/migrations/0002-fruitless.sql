-- oldest-reader: 1
-- An analyzer that does not know the column leaves it as it is: a session that it fails at is tried more often, not less.
alter table analysis_jobs add column fruitless integer not null default 0;

comment on column analysis_jobs.fruitless is
    'attempts in a row, with the one that runs, that have committed nothing and were not told to stop';
