-- Indexes for questions from the command line, each weighed against what it costs at every insert.

-- With the start in it, "what was running then" and "which ran longest" are answered from the index alone.
DROP INDEX jobs_by_end;
CREATE INDEX jobs_by_end ON jobs (cluster, "end", start);

-- The same for one node: its lists, and of each the attempts that were running at a moment.
DROP INDEX jobs_by_nodelist;
CREATE INDEX jobs_by_nodelist ON jobs (nodelist, "end", start);

CREATE INDEX jobs_by_user ON jobs ("user", "end");

-- What ran for at most a day and was running at a moment has ended within a day of it. The few that ran longer are
-- here, so that nobody need walk over everything that ended since; attempts of ordinary length cost nothing.
CREATE INDEX jobs_long ON jobs (cluster, "end", start) WHERE "end" - start > 86400;

-- Array tasks and components by the number they are known by (`12` finds `12_3`); plain jobs cost nothing.
CREATE INDEX jobs_by_task ON jobs (job_id) WHERE job_id GLOB '*[_+]*';

-- The history of an attempt.
CREATE INDEX events_by_job ON events (job);
