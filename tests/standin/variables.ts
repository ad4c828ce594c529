/** Ansible variables that are the same for all clusters. */

import type { JsonObject } from "./json.ts";

/** Variables of a deployment. */
export const CEPH_VARIABLES: JsonObject = {
  ceph_nfs_access_type: "RW",
  ceph_nfs_ceph_access_type: "RW",
  ceph_nfs_ceph_export_id: 20134,
  ceph_nfs_ceph_protocols: "3,4",
  ceph_nfs_ceph_pseudo_path: "/cephobject",
  ceph_nfs_export_id: 20134,
  ceph_nfs_log_file: "/var/log/ganesha.log",
  ceph_nfs_protocols: "3,4",
  ceph_nfs_pseudo_path: "/cephfile",
  ceph_nfs_rgw_access_type: "RW",
  ceph_nfs_rgw_export_id: 20134,
  ceph_nfs_rgw_protocols: "3,4",
  ceph_nfs_rgw_pseudo_path: "/ceph",
  ceph_nfs_rgw_user: "cephnfs",
  ceph_restapi_port: 5000,
  ceph_stable: true,
  ceph_stable_distro_source: "jewel-xenial",
  ceph_stable_release: "jewel",
  ceph_stable_release_uca: "jewel-xenial",
  ceph_stable_repo: "http://mirror.fuel-infra.org/decapod/ceph/jewel-xenial",
  ceph_stable_repo_key: "AF94F6A6A254F5F0",
  ceph_stable_repo_keyserver: "hkp://keyserver.ubuntu.com:80",
  ceph_version_verify: false,
  ceph_version_verify_packagename: "ceph-common",
  common_single_host_mode: true,
  copy_admin_key: true,
  journal_size: 512,
  max_open_files: 131072,
  mds_allow_multimds: true,
  mds_max_mds: 3,
  nfs_file_gw: false,
  nfs_obj_gw: false,
  os_tuning_params: [
    { name: "kernel.pid_max", value: 4194303 },
    { name: "fs.file-max", value: 26234859 },
  ],
  radosgw_civetweb_num_threads: 50,
  radosgw_civetweb_port: 8080,
  radosgw_dns_s3website_name: "your.subdomain.tld",
  radosgw_static_website: false,
  radosgw_usage_log: false,
  radosgw_usage_log_flush_threshold: 1024,
  radosgw_usage_log_tick_interval: 30,
  radosgw_usage_max_shards: 32,
  radosgw_usage_max_user_shards: 1,
};

/** The path of the unit file of the REST API, for deployments only. */
export const RESTAPI_TEMPLATE =
  "/usr/share/decapod/plugins/deploy_cluster/decapod_plugin_playbook_deploy_cluster/ceph-rest-api.service";

/** Variables of Telegraf's installation. */
export const TELEGRAF_VARIABLES: JsonObject = {
  ceph_binary: "/usr/bin/ceph",
  ceph_config: "/etc/ceph/ceph.conf",
  ceph_user: "client.admin",
  configpath: "/etc/telegraf/telegraf.conf",
  gather_admin_socket_stats: true,
  gather_cluster_stats: true,
  interval: "1m",
  mon_prefix: "ceph-mon",
  osd_prefix: "ceph-osd",
  socket_dir: "/var/run/ceph",
  socket_suffix: "asok",
  telegraf_agent_collection_jitter: 0,
  telegraf_agent_deb_url:
    "https://dl.influxdata.com/telegraf/releases/telegraf_1.1.2_amd64.deb",
  telegraf_agent_debug: false,
  telegraf_agent_flush_interval: 10,
  telegraf_agent_flush_jitter: 0,
  telegraf_agent_interval: 10,
  telegraf_agent_logfile: "",
  telegraf_agent_metric_batch_size: 1000,
  telegraf_agent_metric_buffer_limit: 10000,
  telegraf_agent_omit_hostname: false,
  telegraf_agent_output: [{
    type: "influxdb",
    config: ['urls = ["http://localhost:8086"]', 'database = "telegraf"'],
  }],
  telegraf_agent_quiet: false,
  telegraf_agent_round_interval: true,
  telegraf_agent_tags: {},
  telegraf_agent_version: "1.1.2",
  telegraf_plugins_default: [
    { plugin: "cpu", config: ["percpu = true"] },
    { plugin: "disk" },
    { plugin: "mem" },
    { plugin: "system" },
  ],
  telegraf_plugins_extra: [],
};
