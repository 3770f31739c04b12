-- Ended jobs as slurmctld would have reported them: 1 to 4 neighbouring nodes, a few users' habits, all outcomes.
-- {index}: first job_db_inx; {first}: first job id; {count}: how many; {start}, {end}: epoch seconds the ends are spread over.
insert into {job_table} (
    job_db_inx, mod_time, account, cpus_req, derived_ec, exit_code, flags, job_name, id_assoc, id_job, id_qos,
    id_resv, id_wckey, id_user, id_group, het_job_id, het_job_offset, kill_requid, state_reason_prev, nodelist,
    nodes_alloc, node_inx, `partition`, priority, state, timelimit,
    time_submit, time_eligible, time_start, time_end, work_dir, submit_line, tres_alloc, tres_req
)
select
    {index} + id - {first}, ended, account, nodes * 16, 0, exit_code, 8, concat(what, ' ', id % 1000), assoc, id, 1,
    0, 0, uid, uid, 0, 4294967294, if(state = 4, uid, null), 0,
    if(nodes = 1, concat('{cluster}', node), concat('{cluster}[', node, '-', node + nodes - 1, ']')),
    nodes, if(nodes = 1, node - 1, concat(node - 1, '-', node + nodes - 2)), 'main', 1000, state, 1440,
    ended - ran - waited, ended - ran - waited, ended - ran, ended,
    concat('/home/someone/project/run-', id % 97),
    concat('sbatch --nodes=', nodes, ' --time=1-00:00:00 --job-name="', what, ' ', id % 1000, '" job.sh'),
    concat('1=', nodes * 16, ',2=', nodes * 32000, ',4=', nodes, ',5=', nodes * 16),
    concat('1=', nodes * 16, ',2=', nodes * 32000, ',4=', nodes, ',5=', nodes * 16)
from (
    select
        {first} + seq as id,
        floor({start} + ({end} - {start}) * seq / {count}) as ended,
        1 + seq % 4 as nodes,
        1 + seq * 7 % 5 as node,
        5 + seq * 13 % 3600 as ran,
        seq * 11 % 300 as waited,
        elt(1 + seq % 5, 'relax', 'train model', 'align', 'post-process', 'lammps_npt') as what,
        if(seq % 3 = 0, {other_assoc}, {assoc}) as assoc,
        if(seq % 3 = 0, 1, 0) as uid,
        if(seq % 3 = 0, 'chemistry', 'physics') as account,
        case when seq % 20 = 0 then 5 when seq % 33 = 0 then 4 when seq % 50 = 0 then 6 else 3 end as state,
        case when seq % 20 = 0 then 256 else 0 end as exit_code
    from (select seq - 1 as seq from seq_1_to_{count}) as numbers
) as jobs
