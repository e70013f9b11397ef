"""Every bound of the system, with its reason. Nothing is cut off silently: what exceeds a bound is refused.

Units are last in the name.
"""

from typing import Final

# -- Input ------------------------------------------------------------------------------------------------------------

#: A webhook body. Distribution batches few events; its largest observed body is below 100 KiB, Kafka's default record
#: limit is 1 MiB. Larger bodies are answered 413 before they are read.
hook_body_bytes: Final = 1024 * 1024

#: Nesting of a webhook's JSON. The deepest dialect known has 8 levels.
json_depth: Final = 64

#: The largest record on any topic. A policy set of thousands of policies is one record; Kafka's default is 1 MiB.
record_bytes: Final = 8 * 1024 * 1024

#: Dead letters carry the input's bytes up to here, and its digest only beyond: base64 grows it by a third and the
#: letter must fit into a record.
deadletter_value_bytes: Final = 4 * 1024 * 1024

#: The largest event: what it changes goes into one record of the table, with some hundred tags that it makes the
#: evaluator judge. A larger one is a dead letter.
event_bytes: Final = record_bytes - 1024 * 1024

#: The largest event that people and tools may bring. It is told again, as a publication or for the target of a
#: promotion, with a few names more.
submission_bytes: Final = event_bytes - 64 * 1024

# -- Decisions --------------------------------------------------------------------------------------------------------

#: How many event ids a tag remembers to recognise re-deliveries of the same event. A vendor retries within minutes, so
#: a re-delivery is separated from its first by few pushes of the same tag.
recent_event_count: Final = 16

#: Transfers in a row that one push may cause. Longer chains are loops that the check at apply cannot see, such as
#: through a mirror that somebody else runs.
hop_count: Final = 16

#: Tags that are there already and that one event makes the evaluator judge: a new policy judges a large repository in
#: many small steps, one with each tick, so that no step is long and what is pushed meanwhile does not wait.
judged_tag_count: Final = 500

#: Who pushed a digest, to know whose approval does not count; and the indexes that a platform's manifest is part of.
#: Both are few for any real image; the last ones are kept.
pusher_count: Final = 64
parent_count: Final = 64

# -- Registries -------------------------------------------------------------------------------------------------------

#: A manifest; the distribution specification asks registries to take at least 4 MiB, and clients need no more.
manifest_bytes: Final = 4 * 1024 * 1024

#: A token response, or an error body: both are small, and read by code that must not be fed without end.
token_bytes: Final = 64 * 1024
error_body_bytes: Final = 64 * 1024

#: Nesting and breadth of an index, so that a hostile one ends.
index_depth: Final = 8
index_manifest_count: Final = 1024

#: Waiting for a connection to a registry, and for the next bytes of a response.
connect_timeout_seconds: Final = 10.0
read_timeout_seconds: Final = 60.0

#: One transfer, all its attempts included. Longer than any sane image needs; shorter than a person's patience.
transfer_deadline_seconds: Final = 3600.0

#: Attempts of one transfer before it ends as failed.
transfer_attempt_count: Final = 5

#: Back-off between attempts: doubles from the first to the last, with full jitter.
backoff_first_seconds: Final = 0.2
backoff_last_seconds: Final = 30.0

#: The longest `Retry-After` that is honoured; a registry that asks for more is treated as if it asked for this.
retry_after_seconds: Final = 60.0

#: Uploads and downloads of one transfer at a time. More than about six bought nothing when measured.
parallel_blob_count: Final = 4

#: Transfers of one worker at a time.
parallel_transfer_count: Final = 8

# -- The log ----------------------------------------------------------------------------------------------------------

#: How long an append may take until it is acknowledged; then the caller is told to try again (503 at the gateway).
append_timeout_seconds: Final = 15.0

#: Records that the shell takes together: large enough to spread the cost of one journal write and one round trip,
#: small enough that a crash repeats little work.
batch_record_count: Final = 200

#: Records that heal one gap in one go.
heal_record_count: Final = 500

#: What the shell stages until it writes: the changes of several records go into one journal, which is one record. The
#: bytes of the records, and so many for each entry: a tag with all that it remembers has about as many. Half of what a
#: record may have, because the last one may change some hundred tags more.
staged_bytes: Final = record_bytes // 2
staged_entry_bytes: Final = 2048

#: How long a partition is quiet until the shell looks at the log for what nobody handed over: the time that a lost last
#: record waits. Two small requests for each quiet partition and look.
idle_check_seconds: Final = 5.0

#: How often the shell tries an infrastructure failure again before it stops the process without acknowledging.
shell_attempt_count: Final = 6

# -- The gateway ------------------------------------------------------------------------------------------------------

#: How long a sender may take for the whole body. A webhook's megabyte needs less than a second; whoever dribbles holds
#: a connection for so long at most.
hook_body_timeout_seconds: Final = 10.0

#: How long a readiness check may take; probes of orchestrators wait about as long before they give up.
ready_timeout_seconds: Final = 5.0

#: What `Retry-After` tells a sender while the log is away: long enough for a broker to restart, short enough that a
#: sender with few retries has not given up.
hook_retry_after_seconds: Final = 5

#: A dead letter carries the input's key, and its headers, up to here each: real ones have some hundred bytes.
deadletter_key_bytes: Final = 64 * 1024
deadletter_headers_bytes: Final = 64 * 1024

#: Ended commands that a partition remembers. The evaluator repeats commands only right after a crash, and then no more
#: than one batch of events, so a repetition is far closer than this.
ended_command_count: Final = 10_000

#: How long a worker may take to begin work on the partitions that it was given: the recovery of its table, and reading
#: all of it once. A state of some million entries takes seconds; far beyond that, recovery hangs.
takeover_timeout_seconds: Final = 300.0

# -- Reports of scanners and SBOM tools -------------------------------------------------------------------------------

#: A report or an SBOM. Those of large images with all their packages have 10 to 30 MB; only what policies ask for goes
#: into the event.
report_bytes: Final = 64 * 1024 * 1024

#: The alternatives of one component's licence. Real ones have two or three; `AND` of many `OR` grows exponentially.
license_alternative_count: Final = 64

#: A licence expression. Those of whole Linux packages reach some kB; what is longer is the text of a licence.
license_expression_characters: Final = 16 * 1024

#: The name of one licence, as the contract has it.
license_name_characters: Final = 512

#: Parentheses of a licence expression: real ones have a dozen, and each may cost a level of the stack.
license_nesting_depth: Final = 200

# -- What belongs to an image -----------------------------------------------------------------------------------------

#: Signatures, SBOMs and attestations of one image together. Each platform has a handful; thousands are a flood.
referrer_count: Final = 1024

#: Referrers of referrers: a signature on an attestation is one, more than a few is a chain without end.
referrer_depth: Final = 4

#: A configuration of an image: some KiB, with a long history some hundred.
config_bytes: Final = 4 * 1024 * 1024

#: What an inspection may add to the log; with the envelope it must fit into a record, in any encoding.
inspection_bytes: Final = 2 * 1024 * 1024

#: What a signature signs: a JSON object of some hundred bytes, plus annotations of the signer.
signature_payload_bytes: Final = 64 * 1024

#: Signatures of one digest that are looked at; real ones have one for each key.
signature_count: Final = 256

# -- Observing registries ---------------------------------------------------------------------------------------------

#: Inspections and polls of one worker at a time: each has requests of its own under way.
parallel_observation_count: Final = 4

#: Tags that one poll looks at together. Registries that limit rates count each.
parallel_poll_count: Final = 4

#: Tags of one repository, and repositories that one glob matches, in a poll. A registry with more is listed by a
#: narrower source.
poll_tag_count: Final = 100_000
poll_repository_count: Final = 10_000

# -- Copying ----------------------------------------------------------------------------------------------------------

#: How long a blob that was seen in a repository is taken to be there: registries collect what no manifest names once a
#: day at most, and a blob that is missed after all is brought again.
known_blob_seconds: Final = 600.0

#: Blobs whose places are remembered, some 300 bytes each, and places of each: one is enough to mount from, more tell
#: which repositories need not be asked.
known_blob_count: Final = 50_000
known_blob_place_count: Final = 16

#: Connections that one read of a blob goes on over after the first one broke. Each has to bring something, so this many
#: breaks are a bad line and not a dead one; far more are a server that cuts every answer short.
blob_resume_count: Final = 16

#: The slowest source: within a window of waiting it sends so many bytes. A read that brings one byte now and then keeps
#: every timeout of silence from ever ending it; 1 KiB a second is far below what any line for images has.
slow_window_seconds: Final = 30.0
slow_window_bytes: Final = 30 * 1024

#: How often a transfer waits because its registry asks for patience, which is no failed attempt. With the longest
#: `Retry-After` these are its whole time.
rate_limit_wait_count: Final = 60

#: How long what docker's login has is believed: helpers are processes, and their tokens live for hours.
docker_login_seconds: Final = 300.0

#: How long a credential helper may take; those of clouds ask a service of theirs.
credential_helper_seconds: Final = 30.0

# -- Reconciliation and deletions -------------------------------------------------------------------------------------

#: Sources that one tick has asked: ten thousand are asked within minutes, and no step is long.
asked_source_count: Final = 500

#: How long the answer to a complete poll is waited for until the next difference gives another one. A poll of the
#: largest repository takes some hours where a registry limits rates; each is answered, so this is for what nobody
#: foresaw.
complete_poll_seconds: Final = 24 * 3600

#: Pages of listings that wait because more tags vanished than one event may note. A page is some 10 KiB; what finds no
#: room is listed again by the next poll.
waiting_listing_count: Final = 16

# -- Policy files -----------------------------------------------------------------------------------------------------

#: Values of one policy file, those that aliases repeat counted each time: ten thousand policies have some hundred
#: thousand, and a few lines of aliases of aliases would have millions.
policy_file_value_count: Final = 2_000_000

#: Nesting of a policy file; policies need six levels.
policy_file_depth: Final = 32

#: Repositories that the check follows chains through. Exact policies have as many as there are policies; globs in
#: layers can multiply them without end.
policy_chain_count: Final = 200_000

#: Pairs of policies that the check compares. Only those are compared whose targets begin and end alike, so that ten
#: thousand ordinary policies need about as many.
policy_pair_count: Final = 2_000_000

#: Events of one `policy try`, those that follow from copies included: files of tests have tens.
trial_event_count: Final = 100_000

#: How long one question of an access check may take; a person waits for it.
access_check_seconds: Final = 30.0

# -- Transfers that are made again ------------------------------------------------------------------------------------

#: Failed transfers that one retry asks for: an outage fails thousands, and whoever sees them go again can go on.
retry_count: Final = 1000

# -- Commands that wait -----------------------------------------------------------------------------------------------

#: Accepted commands of one partition that wait in memory, one or two KiB each; the others wait in the log. A hundred
#: times what a worker carries out at a time, so that a later command for the same target tag is mostly seen.
waiting_command_count: Final = 2_000

# -- Comparing the log with registries --------------------------------------------------------------------------------

#: Tags of all repositories together whose last recorded digest an observer remembers, some 300 bytes each. Of what does
#: not fit, a poll records everything again, which changes nothing but the size of the log.
remembered_tag_count: Final = 200_000

#: Causes of failures that are a label of a metric each. There are some forty; each label is a series that somebody
#: stores.
metric_cause_count: Final = 64

# -- Reports on transfers ---------------------------------------------------------------------------------------------

#: How long a copy runs until the log hears how far it is, and by how much the time between two reports grows each time:
#: copies of images of usual size end before, and the longest copy, with all its attempts, makes 24 reports.
progress_first_seconds: Final = 10.0
progress_growth: Final = 1.2

# -- Requests to addresses that others name ---------------------------------------------------------------------------

#: One request with its answer. A receiver of webhooks that works on them before it answers is not to hold up others.
request_deadline_seconds: Final = 30.0

#: Requests under way to one host and port: a slow one must not take all connections.
requests_per_host_count: Final = 4

#: The body of an answer that nobody reads beyond its reason, and of a document of keys.
reply_bytes: Final = 64 * 1024

# -- Indexes of the wanted platforms ----------------------------------------------------------------------------------

#: Target tags of which a worker that removes remembers what they got in place of the commanded index, some 700 bytes
#: each. Of what does not fit, the log is read anew.
reduction_count: Final = 50_000

# -- Webhooks out -----------------------------------------------------------------------------------------------------

#: Pauses between the attempts of one webhook: a restart is bridged within minutes, a weekend within three days. The
#: example of Standard Webhooks, with a minute between seconds and minutes.
webhook_pauses_seconds: Final = (5.0, 60.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)

#: By how much of itself a pause is longer or shorter, so that what failed together does not come again together.
webhook_jitter_share: Final = 0.1

#: The longest `Retry-After` of a receiver that is honoured: a receiver that asks for days would keep what it is not
#: told from ever ending.
webhook_retry_after_seconds: Final = 3600.0

#: Webhooks under way at a time, all receivers together. Each receiver has `requests_per_host_count` of them, so that
#: more receivers than anybody has must hang before others wait.
parallel_delivery_count: Final = 256

#: Webhooks that wait for one receiver's turn or for their next attempt, some 300 bytes each; their bodies are in the
#: table. What comes beyond ends as failed while the receiver fails, and waits in the log while it does not.
waiting_delivery_count: Final = 10_000

#: How long the body of an answer is read whose status has been seen: it is for people who look for a reason.
reply_beginning_seconds: Final = 5.0

# -- Senders of webhooks ----------------------------------------------------------------------------------------------

#: How far the clock of a sender that signs its moment may be from ours, either way: what Standard Webhooks advises. A
#: recorded delivery can be sent again for so long.
hook_signature_age_seconds: Final = 300.0

#: How far the clock of an issuer of tokens may be from ours; its tokens live for an hour.
hook_token_leeway_seconds: Final = 60.0

#: How much a sender may be ahead of its `rate`: pushes of a release come together, and a queue that was held up, too.
hook_burst_seconds: Final = 10.0

#: How long an issuer's keys are taken to be all that it has. Issuers publish a key days before they use it.
signing_keys_fresh_seconds: Final = 3600.0

#: How long they count when the issuer cannot be asked: an outage of a day loses no delivery, a key that was taken back
#: is gone after it.
signing_keys_kept_seconds: Final = 24 * 3600.0

#: How soon keys are asked for again because a token names an unknown one: whoever makes up names of keys makes us ask
#: this often at most. And how soon after asking failed.
signing_keys_pause_seconds: Final = 60.0
signing_keys_retry_seconds: Final = 5.0

#: How long an answer of `/readyz` is given again: whoever may ask cannot make us ask the broker more often.
ready_cache_seconds: Final = 1.0

# -- Slices of the log ------------------------------------------------------------------------------------------------

#: One line of a slice: a record of `record_bytes` whose bytes are all written as escapes of six characters.
slice_line_bytes: Final = 6 * record_bytes + 1024 * 1024

#: A slice, unpacked: a hundred million records. Some kilobytes of gzip can claim to be more.
slice_bytes: Final = 64 * 1024**3

#: Places told of a slice that is not as it was written.
slice_problem_count: Final = 100

#: Secrets in records that are told one by one; the others are counted.
told_secret_count: Final = 50

# -- The read side ----------------------------------------------------------------------------------------------------

#: Of a projection: memory for pages; the wait for another process that writes; partitions read together, each with a
#: batch in memory; how often a gateway looks for what is new, and how many times as long as that it pauses.
projection_cache_kib: Final = 64 * 1024
projection_lock_seconds: Final = 30.0
projection_reader_count: Final = 4
projection_pause_seconds: Final = 1.0
projection_pause_factor: Final = 4.0

#: Records of one page, and at most. Places of one lineage, and transfers in a row: policies make sixteen at most.
page_count: Final = 50
page_max_count: Final = 500
lineage_place_count: Final = 2_000
lineage_depth: Final = 64

# -- Exports ----------------------------------------------------------------------------------------------------------

#: Records that an export holds in memory at once, and writes to a file of each format and day; and the bytes of their
#: values, since some are large.
export_chunk_records: Final = 20_000
export_chunk_bytes: Final = 32 * 1024 * 1024

# -- Replay -----------------------------------------------------------------------------------------------------------

#: What `replay verify` keeps of a partition, about a kilobyte each: expected decisions that wait for their record, so
#: far it looks for one that is out of order; the last pairs, to know a repetition; and records that were met before
#: they were expected, beyond which the part of the log before them is read again.
replay_ahead_count: Final = 4096
replay_recent_count: Final = 1024
replay_aside_count: Final = 8192

#: Of each partition, differences that are told one by one, and missing records that are told or written again at once;
#: the others are counted.
told_difference_count: Final = 100
missing_count: Final = 10_000
