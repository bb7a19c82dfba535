// Tables of the read model. They hold nothing that the log does not: a new version is a new number here, and the file
// is made again from the log. Thread: constants.
#pragma once

#include <cstdint>

namespace fathom::store {

inline constexpr std::int64_t kReadModelId = 0x4654524D;  // "FTRM"
inline constexpr std::int64_t kReadModelVersion = 4;

// jobs: what lists show, one row a job. `state` is the REST word. `changed` is the seq of the last event about the row
// (0 for a job that only its submit made), so that a stream can go on from any seq. `source`: the job whose result it
// took instead of being trained. `set` and `drop` are SQL words,
// hence set_label and drop_label. `result_seq`: the event that has its result and files (0: none), with the attempt
// that made it and the hash of its weights. counts: jobs by state, kept with each change, so that no list of sweeps
// ever counts. sweeps.submitted: seq of the event that made it. job_settings: of jobs that have needs, or whose
// settings are completed or changed while it runs; of all others (and where `settings` is NULL) they stand in the plan.
// job_events: what happened to a job in one batch of events, from `seq` on: JSON [[seq, Unix ms, type, text], ...].
inline constexpr const char* kReadSchema = R"sql(
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sweeps(
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, file TEXT, state TEXT NOT NULL, cause TEXT,
  created INTEGER, ended INTEGER, jobs INTEGER NOT NULL, first_job INTEGER NOT NULL, priority INTEGER, weight INTEGER, limits TEXT, goal TEXT,
  tasks TEXT, stages TEXT, notes TEXT, yaml TEXT, resolved TEXT, changed INTEGER NOT NULL, reused INTEGER NOT NULL DEFAULT 0,
  submitted INTEGER NOT NULL, recipe TEXT, precision TEXT);
CREATE INDEX sweeps_changed ON sweeps(changed);
CREATE TABLE counts(sweep INTEGER, stage TEXT, state TEXT, n INTEGER NOT NULL, PRIMARY KEY(sweep, stage, state)) WITHOUT ROWID;
CREATE TABLE jobs(
  number INTEGER PRIMARY KEY, sweep INTEGER NOT NULL, id TEXT NOT NULL, stage TEXT, kind TEXT, task TEXT,
  drop_label TEXT, set_label TEXT, keep INTEGER, seed INTEGER, parameters TEXT, epochs INTEGER,
  state TEXT NOT NULL, cause TEXT DEFAULT '', generation INTEGER DEFAULT 1, attempt INTEGER DEFAULT 0,
  attempts INTEGER DEFAULT 0, epoch INTEGER DEFAULT 0, step INTEGER DEFAULT 0, objective REAL, worker INTEGER,
  device TEXT DEFAULT '', started INTEGER, ended INTEGER, stats TEXT, source INTEGER, pinned INTEGER DEFAULT 0, changed INTEGER NOT NULL DEFAULT 0,
  result_generation INTEGER DEFAULT 0, result_attempt INTEGER DEFAULT 0, result_seq INTEGER DEFAULT 0, sha256 TEXT DEFAULT '');
CREATE INDEX jobs_id ON jobs(id, sweep);
CREATE INDEX jobs_state ON jobs(sweep, state, stage, task, drop_label);
CREATE INDEX jobs_changed ON jobs(changed) WHERE changed > 0;
CREATE INDEX jobs_active ON jobs(worker, device) WHERE state IN ('leased', 'running', 'stopping');
CREATE TABLE job_settings(number INTEGER PRIMARY KEY, settings TEXT, needs TEXT, chosen TEXT);
CREATE TABLE result_rows(
  job INTEGER, place INTEGER, epoch INTEGER, depth INTEGER, split TEXT, metric TEXT, value REAL, is_primary INTEGER,
  PRIMARY KEY(job, place)) WITHOUT ROWID;
CREATE TABLE attempts(
  job INTEGER, generation INTEGER, attempt INTEGER, worker INTEGER, device TEXT, granted INTEGER, started INTEGER,
  ended INTEGER, outcome TEXT, text TEXT, resumed_epoch INTEGER DEFAULT 0, epoch INTEGER DEFAULT 0,
  data_sha256 TEXT, base_sha256 TEXT, PRIMARY KEY(job, generation, attempt)) WITHOUT ROWID;
CREATE TABLE job_events(job INTEGER, seq INTEGER, entries TEXT, PRIMARY KEY(job, seq)) WITHOUT ROWID;
CREATE TABLE workers(
  number INTEGER PRIMARY KEY, uid TEXT, name TEXT, state TEXT, devices TEXT, joined INTEGER, changed INTEGER);
)sql";

}  // namespace fathom::store
