-- Three steps for each loaded job, as slurmctld would have reported them: batch, extern, and one of srun.
-- {first}: first job id; {count}: how many jobs.
insert into {step_table} (
    job_db_inx, exit_code, id_step, nodelist, nodes_alloc, node_inx, state, step_name, task_cnt, task_dist,
    time_start, time_end, user_sec, user_usec, sys_sec, sys_usec, act_cpufreq, submit_line, tres_alloc,
    tres_usage_in_ave, tres_usage_in_max, tres_usage_in_max_taskid, tres_usage_in_max_nodeid,
    tres_usage_in_min, tres_usage_in_min_taskid, tres_usage_in_min_nodeid, tres_usage_in_tot,
    tres_usage_out_ave, tres_usage_out_max, tres_usage_out_max_taskid, tres_usage_out_max_nodeid,
    tres_usage_out_min, tres_usage_out_min_taskid, tres_usage_out_min_nodeid, tres_usage_out_tot
)
select
    job_db_inx, 0, id, nodelist, if(id = -5, 1, nodes_alloc), node_inx, 3, elt(6 + id, 'batch', 'extern', '', '', '', 'app'),
    tasks, 1, time_start, time_end, cpu div 1000, cpu % 1000 * 1000, cpu div 9000, cpu % 7000 * 100, 2400000,
    if(id = 0, 'srun --mpi=pmix ./app input.nml', null), concat('1=', nodes_alloc * 16, ',2=0,4=', nodes_alloc),
    used, used, '1=0,2=0,6=0,7=0,8=0', '1=0,2=0,3=0,6=0,7=0,8=0',
    used, '1=0,2=0,6=0,7=0,8=0', '1=0,2=0,3=0,6=0,7=0,8=0',
    concat('1=', cpu, ',2=', memory * tasks, ',3=0,6=', memory * tasks div 3, ',7=', memory * tasks * 2, ',8=0'),
    '3=0,6=5512', '3=0,6=5512', '6=0', '3=0,6=0', '3=0,6=5512', '6=0', '3=0,6=0', concat('3=0,6=', 5512 * tasks)
from (
    select
        sized.*, concat('1=', cpu, ',2=', memory, ',3=0,6=', memory div 3, ',7=', memory * 2, ',8=0') as used
    from (
        select
            jobs.*, ids.id,
            if(ids.id = 0, jobs.nodes_alloc * 16, 1) as tasks,
            if(ids.id = -4, 0, (jobs.time_end - jobs.time_start) * (100 + jobs.id_job % 900)) as cpu,
            if(ids.id = -4, 0, 10485760 + jobs.id_job * 7919 % 2000000000) as memory
        from {job_table} as jobs join (select -5 as id union select -4 union select 0) as ids
        where jobs.id_job >= {first} and jobs.id_job < {first} + {count}
    ) as sized
) as steps
